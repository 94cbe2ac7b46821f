"""Which components and keys exist, and their defaults. A wrong type, key or component is refused at start-up.

Defaults are those `print-config` shows for 0.159. A value's type says what a key takes. `REFUSED` holds the real keys
that are not emulated and so may only be left out: to ignore one would be to promise what is not done.
"""

from __future__ import annotations

from typing import Any


class Duration(float):
    """A default that is a Go duration, in seconds."""


class AnyMap(dict[str, Any]):
    """A map with free keys."""


class Optional(dict[str, Any]):
    """A section that is off until it is present (even empty)."""


Tree = dict[str, Any]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


REFUSED = _words(
    """
    tls transport cors auth middlewares response_headers compression_algorithms include_metadata keepalive
    read_timeout read_header_timeout write_timeout idle_timeout keep_alives_enabled read_buffer_size
    write_buffer_size max_concurrent_streams batch wait_for_result block_on_overflow sizer wait_for_ready
    balancer_name authority user_agent proxy_url traces_endpoint metrics_endpoint logs_endpoint encoding
    max_idle_conns max_idle_conns_per_host max_conns_per_host idle_conn_timeout disable_keep_alives cookies
    traces_url_path metrics_url_path logs_url_path min_gc_interval_when_soft_limited include
    min_gc_interval_when_hard_limited metadata_keys metadata_cardinality_limit exclude spanevent datapoint spans
    sampling_initial sampling_thereafter use_internal_logger output_paths namespace const_labels send_timestamps
    translation_strategy resource_to_telemetry_conversion dimensions aggregation_temporality exclude_dimensions
    calls_dimensions dimensions_cache_size histogram events aggregation_cardinality_limit
    include_instrumentation_scope metric_timestamp_cache_size series_expiration metrics_expiration
    resource_metrics_cache_size resource_metrics_key_attributes cache_loop database_name_attribute
    database_name_attributes latency_histogram_buckets metrics_exporter metrics_timestamp_offset
    virtual_node_extra_label virtual_node_peer_attributes response_body check_collector_pipeline
    directory_permissions recreate compaction fsync development disable_caller disable_stacktrace error_output_paths
    initial_fields processors sampling address views traces resource with_resource_constant_labels ca_file cert_file
    key_file insecure_skip_verify limit_percentage spike_limit_percentage
    """
)

_BODY_LIMIT = 20 * 1024 * 1024
_CLIENT: Tree = {
    "endpoint": "",
    "compression": "gzip",
    "headers": AnyMap(),
    "tls": {"insecure": False},
    "timeout": Duration(5),
    "retry_on_failure": {
        "enabled": True, "initial_interval": Duration(5), "max_interval": Duration(30),
        "max_elapsed_time": Duration(300), "multiplier": 1.5, "randomization_factor": 0.5,
    },
    "sending_queue": {"enabled": True, "num_consumers": 10, "queue_size": 1000, "storage": ""},
}  # fmt: skip
KINDS: dict[str, Tree] = {
    "receivers": {
        "otlp": {
            "protocols": {
                "grpc": Optional({"endpoint": "localhost:4317", "max_recv_msg_size_mib": 4}),
                "http": Optional({"endpoint": "localhost:4318", "max_request_body_size": _BODY_LIMIT}),
            }
        },
    },
    "processors": {
        "memory_limiter": {
            "check_interval": Duration(0), "limit_mib": 0, "spike_limit_mib": 0,
        },
        "batch": {"timeout": Duration(0.2), "send_batch_size": 8192, "send_batch_max_size": 0},
        "attributes": {"actions": []},
        "resource": {"attributes": []},
        "filter": {
            "error_mode": "propagate", "traces": {"span": []}, "metrics": {"metric": []}, "logs": {"log_record": []},
        },
    },
    "exporters": {
        "otlp_grpc": _CLIENT,
        "otlp_http": {**_CLIENT, "timeout": Duration(30)},
        "debug": {"verbosity": "basic"},
        "prometheus": {
            "endpoint": "", "metric_expiration": Duration(300), "enable_open_metrics": False,
            "add_metric_suffixes": True, "without_scope_info": False,
        },
    },
    "connectors": {
        "span_metrics": {
            "add_resource_attributes": False, "exemplars": {"enabled": False, "max_per_data_point": 5},
            "metrics_flush_interval": Duration(60),
        },
        "service_graph": {
            "metrics_flush_interval": Duration(60), "store": {"max_items": 1000, "ttl": Duration(2)},
            "store_expiration_loop": Duration(2),
        },
    },
    "extensions": {
        "health_check": {"endpoint": "localhost:13133", "path": "/"},
        "file_storage": {
            "directory": "/var/lib/otelcol/file_storage", "create_directory": False, "timeout": Duration(1),
        },
    },
}  # fmt: skip
SERVICE: Tree = {
    "extensions": [],
    "pipelines": AnyMap(),
    "telemetry": {"logs": {"level": "info", "encoding": "console"}, "metrics": {"level": "normal", "readers": []}},
}
READER: Tree = {
    "host": "localhost", "port": 8888, "without_scope_info": True, "without_type_suffix": True, "without_units": True,
}  # fmt: skip
PACKAGES = {
    "otlp": "otlpreceiver", "memory_limiter": "memorylimiter", "batch": "batchprocessor",
    "attributes": "attributesprocessor", "resource": "resourceprocessor", "filter": "filterprocessor",
    "otlp_grpc": "otlpexporter", "otlp_http": "otlphttpexporter", "debug": "debugexporter",
    "prometheus": "prometheusexporter", "span_metrics": "spanmetricsconnector",
    "service_graph": "servicegraphconnector", "health_check": "healthcheckextension", "file_storage": "filestorage",
}  # fmt: skip
"""The Go package of each component, by which a message about its unknown keys names its configuration."""
UNSIGNED = frozenset({"send_batch_size", "send_batch_max_size", "limit_mib", "spike_limit_mib"})
ALIASES = {"otlp": "otlp_grpc", "otlphttp": "otlp_http", "spanmetrics": "span_metrics", "servicegraph": "service_graph"}
"""Deprecated names of exporters and connectors that the real program still takes, with a warning."""

NOT_EMULATED = _words(
    """
    jaeger zipkin prometheus hostmetrics host_metrics filelog file_log kafka nop probabilistic_sampler tail_sampling
    transform groupbytrace group_by_trace k8s_attributes k8sattributes resourcedetection span resource_detection
    cumulativetodelta interval file prometheusremotewrite prometheus_remote_write loadbalancing count routing
    failover sum signaltometrics exceptions forward pprof basicauth basic_auth bearertokenauth bearer_token_auth
    healthcheckv2 zpages memory_limiter
    """
)
"""Components the real distribution has and the emulator has not: refused by name, never ignored."""
