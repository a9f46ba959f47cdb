"""Image files decoded to pixels, and perturbations: what happens to photos on their way through the net."""
