"""A batch and the folder that its pictures are saved in: what `imagefleet batch` and `imagefleet retry` are made of."""
