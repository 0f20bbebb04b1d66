"""Quality, lag and cost of the real pipeline and its peers, from logs of events alone. `tsuyaku bench` runs it."""
