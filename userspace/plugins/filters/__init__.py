"""One file here is what one plugin does: a Filter with the NAME of its schema in control/model/plugins."""
