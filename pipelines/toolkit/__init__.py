"""What the steps of several workloads share; it runs in containers and imports nothing of ours."""
