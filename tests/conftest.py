from hypothesis import settings

# the same examples on every machine, however slow it is
settings.register_profile("project", derandomize=True, deadline=None)
settings.load_profile("project")
