"""What a run is told, its settings, and what it leaves on disk: manifest, traces, figure."""
