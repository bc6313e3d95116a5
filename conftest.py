pytest_plugins = ["plugins.run", "plugins.demand"]
