"""From a prompt to sampled text: the sampler and the filters that shape the distribution it draws from."""
