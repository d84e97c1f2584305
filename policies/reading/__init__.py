"""What rules read with: documents, definitions, pods, jobs, endpoints."""
