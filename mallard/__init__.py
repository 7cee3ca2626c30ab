"""The command line and the pipeline that the DAGs and the command line share."""
