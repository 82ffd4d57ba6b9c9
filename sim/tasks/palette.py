"""Colours that every scene is painted with, RGBA."""

ORANGE = [0.91, 0.45, 0.18, 1.0]
BLUE = [0.20, 0.36, 0.55, 1.0]
GREEN = [0.35, 0.58, 0.38, 1.0]
YELLOW = [0.93, 0.75, 0.28, 1.0]
DARK = [0.24, 0.25, 0.27, 1.0]
LIGHT = [0.93, 0.92, 0.89, 1.0]
PALE = [0.90, 0.87, 0.81, 1.0]
SLATE = [0.30, 0.32, 0.35, 1.0]
COLOURS = {"orange": ORANGE, "blue": BLUE, "green": GREEN, "yellow": YELLOW}  # by their words in instructions
