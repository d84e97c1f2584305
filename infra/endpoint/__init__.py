"""An endpoint on instances: the component, its variants, alarms and rollout."""
