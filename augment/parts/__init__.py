"""A folder of parts: the variants of a large dataset, which any number of processes write, each some of the parts."""
