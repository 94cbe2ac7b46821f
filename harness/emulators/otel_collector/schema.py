"""Which components and keys exist, and their defaults. A wrong type, key or component is refused at start-up.

Defaults are those `print-config` shows for 0.159. A value's type says what a key takes; `Refused` marks a real key
that is not emulated and so may only be left out.
"""

from __future__ import annotations

from typing import Any


class Duration(float):
    """A default that is a Go duration, in seconds."""


class Refused:
    """A key of the real component without emulation."""


class AnyMap(dict[str, Any]):
    """A map with free keys."""


class Optional(dict[str, Any]):
    """A section that is off until it is present (even empty)."""


Tree = dict[str, Any]
REFUSED = Refused()

_SERVER: Tree = {
    "endpoint": "", "transport": "tcp", "tls": REFUSED, "cors": REFUSED, "auth": REFUSED, "middlewares": REFUSED,
    "max_request_body_size": 20 * 1024 * 1024, "include_metadata": False, "response_headers": REFUSED,
    "compression_algorithms": REFUSED, "read_timeout": Duration(0), "read_header_timeout": Duration(60),
    "write_timeout": Duration(30), "idle_timeout": Duration(60), "keep_alives_enabled": True,
}  # fmt: skip
_GRPC_SERVER: Tree = {
    "endpoint": "localhost:4317", "transport": "tcp", "tls": REFUSED, "max_recv_msg_size_mib": 4,
    "max_concurrent_streams": 0, "read_buffer_size": 524288, "write_buffer_size": 0, "keepalive": AnyMap(),
    "auth": REFUSED, "include_metadata": False, "middlewares": REFUSED,
}  # fmt: skip
_QUEUE: Tree = {
    "enabled": True, "num_consumers": 10, "queue_size": 1000, "block_on_overflow": False, "storage": "",
    "sizer": "requests", "batch": REFUSED, "wait_for_result": REFUSED,
}  # fmt: skip
_RETRY: Tree = {
    "enabled": True, "initial_interval": Duration(5), "max_interval": Duration(30), "max_elapsed_time": Duration(300),
    "multiplier": 1.5, "randomization_factor": 0.5,
}  # fmt: skip
_CLIENT: Tree = {
    "endpoint": "", "compression": "gzip", "headers": AnyMap(), "auth": REFUSED, "middlewares": REFUSED,
    "tls": {"insecure": False, "ca_file": "", "cert_file": "", "key_file": "", "insecure_skip_verify": REFUSED},
    "read_buffer_size": 0, "write_buffer_size": 524288, "timeout": Duration(5),
    "retry_on_failure": _RETRY, "sending_queue": _QUEUE,
}  # fmt: skip
_GRPC_CLIENT: Tree = {
    **_CLIENT, "keepalive": AnyMap(), "wait_for_ready": REFUSED, "balancer_name": "round_robin", "authority": REFUSED,
    "user_agent": REFUSED,
}  # fmt: skip
_HTTP_CLIENT: Tree = {
    **_CLIENT, "timeout": Duration(30), "proxy_url": REFUSED, "traces_endpoint": "", "metrics_endpoint": "",
    "logs_endpoint": "", "encoding": "proto", "max_idle_conns": 100, "max_idle_conns_per_host": 0,
    "max_conns_per_host": 0, "idle_conn_timeout": Duration(90), "disable_keep_alives": False, "cookies": REFUSED,
}  # fmt: skip

RECEIVERS: Tree = {
    "otlp": {
        "protocols": {
            "grpc": Optional(_GRPC_SERVER),
            "http": Optional(
                {
                    **_SERVER, "endpoint": "localhost:4318", "traces_url_path": "/v1/traces",
                    "metrics_url_path": "/v1/metrics", "logs_url_path": "/v1/logs",
                }
            ),
        }
    },
    "nop": {},
}  # fmt: skip
PROCESSORS: Tree = {
    "memory_limiter": {
        "check_interval": Duration(0), "limit_mib": 0, "spike_limit_mib": 0, "limit_percentage": 0,
        "spike_limit_percentage": 0, "min_gc_interval_when_soft_limited": Duration(10),
        "min_gc_interval_when_hard_limited": Duration(0), "max_gc_interval_when_soft_limited": Duration(30),
        "max_gc_interval_when_hard_limited": Duration(30),
    },
    "batch": {
        "timeout": Duration(0.2), "send_batch_size": 8192, "send_batch_max_size": 0, "metadata_keys": REFUSED,
        "metadata_cardinality_limit": 1000,
    },
    "attributes": {"actions": [], "include": REFUSED, "exclude": REFUSED},
    "resource": {"attributes": []},
    "filter": {
        "error_mode": "propagate", "traces": {"span": [], "spanevent": REFUSED},
        "metrics": {"metric": [], "datapoint": [], "include": REFUSED, "exclude": REFUSED},
        "logs": {"log_record": [], "include": REFUSED, "exclude": REFUSED}, "spans": REFUSED,
    },
}  # fmt: skip
EXPORTERS: Tree = {
    "otlp_grpc": _GRPC_CLIENT,
    "otlp_http": _HTTP_CLIENT,
    "debug": {
        "verbosity": "basic", "sampling_initial": 2, "sampling_thereafter": 1, "use_internal_logger": True,
        "output_paths": REFUSED, "sending_queue": REFUSED,
    },
    "nop": {},
    "prometheus": {
        **_SERVER, "namespace": "", "const_labels": AnyMap(), "send_timestamps": False,
        "metric_expiration": Duration(300), "enable_open_metrics": False, "add_metric_suffixes": True,
        "without_scope_info": False, "translation_strategy": REFUSED, "sending_queue": REFUSED,
        "resource_constant_labels": REFUSED,
        "resource_to_telemetry_conversion": {"enabled": False, "exclude_service_attributes": False},
    },
}  # fmt: skip
CONNECTORS: Tree = {
    "span_metrics": {
        "aggregation_temporality": "AGGREGATION_TEMPORALITY_CUMULATIVE", "dimensions": [], "exclude_dimensions": [],
        "calls_dimensions": REFUSED, "dimensions_cache_size": 1000, "aggregation_cardinality_limit": 0,
        "add_resource_attributes": False, "include_instrumentation_scope": REFUSED, "events": REFUSED,
        "exemplars": {"enabled": False, "max_per_data_point": 5}, "metric_timestamp_cache_size": 1000,
        "histogram": {"disable": False, "unit": "ms", "explicit": {"buckets": []}, "exponential": REFUSED,
                      "dimensions": REFUSED},
        "metrics_expiration": Duration(0), "series_expiration": REFUSED, "metrics_flush_interval": Duration(60),
        "namespace": "traces.span.metrics", "resource_metrics_cache_size": 1000, "resource_metrics_key_attributes": [],
        "enable_metrics_sampling_method": REFUSED,
    },
    "service_graph": {
        "cache_loop": Duration(60), "database_name_attribute": "", "database_name_attributes": ["db.name"],
        "dimensions": [], "latency_histogram_buckets": [], "exponential_histogram_max_size": REFUSED,
        "metrics_exporter": REFUSED, "metrics_flush_interval": Duration(60), "metrics_timestamp_offset": REFUSED,
        "store": {"max_items": 1000, "ttl": Duration(2)}, "store_expiration_loop": Duration(2),
        "virtual_node_extra_label": REFUSED,
        "virtual_node_peer_attributes": [
            "peer.service", "db.name", "db.system", "net.sock.peer.addr", "net.peer.name", "rpc.service",
            "net.sock.peer.name", "http.url", "http.target",
        ],
    },
    "forward": {},
}  # fmt: skip
EXTENSIONS: Tree = {
    "health_check": {
        **_SERVER, "endpoint": "localhost:13133", "path": "/", "response_body": REFUSED,
        "check_collector_pipeline": {"enabled": REFUSED, "exporter_failure_threshold": 5, "interval": "5m"},
    },
    "zpages": {**_SERVER, "endpoint": "localhost:55679", "expvar": {"enabled": REFUSED}},
    "file_storage": {
        "directory": "/var/lib/otelcol/file_storage", "create_directory": False, "directory_permissions": "0750",
        "timeout": Duration(1), "fsync": False, "recreate": False,
        "compaction": {"directory": "", "on_start": False, "on_rebound": False, "cleanup_on_start": False,
                       "check_interval": Duration(5), "max_transaction_size": 65536,
                       "rebound_needed_threshold_mib": 100, "rebound_trigger_threshold_mib": 10},
    },
}  # fmt: skip
SERVICE: Tree = {
    "extensions": [],
    "pipelines": AnyMap(),
    "telemetry": {
        "logs": {
            "level": "info", "encoding": "console", "development": False, "disable_caller": False,
            "disable_stacktrace": False, "output_paths": ["stderr"], "error_output_paths": ["stderr"],
            "initial_fields": REFUSED, "processors": REFUSED,
            "sampling": {"enabled": True, "initial": 10, "thereafter": 100, "tick": Duration(10)},
        },
        "metrics": {"level": "normal", "readers": [], "address": REFUSED, "views": REFUSED},
        "traces": REFUSED,
        "resource": REFUSED,
    },
}  # fmt: skip
READER: Tree = {
    "host": "localhost", "port": 8888, "without_scope_info": True, "without_type_suffix": True, "without_units": True,
    "with_resource_constant_labels": REFUSED,
}  # fmt: skip

KINDS = {
    "receivers": RECEIVERS,
    "processors": PROCESSORS,
    "exporters": EXPORTERS,
    "connectors": CONNECTORS,
    "extensions": EXTENSIONS,
}
ALIASES = {
    "exporters": {"otlp": "otlp_grpc", "otlphttp": "otlp_http"},
    "connectors": {"spanmetrics": "span_metrics", "servicegraph": "service_graph"},
}
"""Deprecated names the real program still takes, with a warning."""

NOT_EMULATED = {
    "receivers": {"jaeger", "zipkin", "prometheus", "hostmetrics", "host_metrics", "filelog", "file_log", "kafka"},
    "processors": {
        "probabilistic_sampler", "tail_sampling", "transform", "groupbytrace", "group_by_trace", "k8s_attributes",
        "k8sattributes", "resourcedetection", "resource_detection", "span", "cumulativetodelta", "interval",
    },
    "exporters": {
        "file", "kafka", "prometheusremotewrite", "prometheus_remote_write", "zipkin", "loadbalancing",
    },
    "connectors": {"count", "routing", "failover", "sum", "signaltometrics", "signal_to_metrics", "exceptions"},
    "extensions": {
        "memory_limiter", "pprof", "basicauth", "basic_auth", "bearertokenauth", "bearer_token_auth", "healthcheckv2",
    },
}  # fmt: skip
"""Components the real distribution has and the emulator has not: refused by name, never ignored."""
