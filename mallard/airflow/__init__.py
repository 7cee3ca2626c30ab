"""What Airflow needs of Mallard: which days a run is for, the policy of the DAGs, a local Airflow and its runs.

``days``, ``policy``, ``alerts`` and ``landing`` are imported by the DAG files at every parse and stay light.
"""
