"""The languages that judges read refusals in."""
