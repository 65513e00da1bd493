"""The rules of project-provisioning, one module for each aggregate; pure, without IO."""
