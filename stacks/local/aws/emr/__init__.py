"""EMR and EMR Serverless: clusters and applications are moto's and ours, Spark jobs run."""
