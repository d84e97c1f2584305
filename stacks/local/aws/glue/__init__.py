"""Glue: the catalogue is moto's, job runs and crawlers of S3 do what they say."""
