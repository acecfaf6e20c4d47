"""From a spec to a plan: steps meet plugins, axes become cells, nodes get their keys."""
