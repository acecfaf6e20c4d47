"""Parcels of nodes, computed in this process, in local workers or on a cluster."""
