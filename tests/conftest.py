from hypothesis import settings

from tests.device import strict

strict.register()  # before anything asks which backend is in force

# the same examples on every machine, however slow it is
settings.register_profile("project", derandomize=True, deadline=None)
settings.load_profile("project")
