"""A shop that never sleeps: coherent feeds of any size, with faults on request, and the truth that it knows."""
