"""Who can prepare text: this process, or a runner of Apache Beam."""

LOCAL = "local"
BEAM = ("DirectRunner", "DataflowRunner", "FlinkRunner", "SparkRunner")
