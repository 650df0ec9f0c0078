"""What the plugins do. Their schemas, versions and priorities stand in control/model/plugins."""
