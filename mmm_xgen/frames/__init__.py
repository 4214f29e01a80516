"""Wide and long frames: read any of them, say what is wrong in it, and write our own."""
