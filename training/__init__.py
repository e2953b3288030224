"""How `nano` is made: data, training and evaluation. Not part of the installed package."""
