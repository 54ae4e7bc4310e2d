"""Ways to look faster or righter than one is. The harness must catch each, here and on every machine that measures."""
