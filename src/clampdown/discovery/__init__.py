"""Finds what refuses: the latents and directions behind refusals, and the gates that decide when to steer."""
