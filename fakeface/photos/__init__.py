"""From an image file to pixels, and what happens to photos on their way through the net."""
