from pointsman.v1 import decision_pb2 as _decision_pb2
from pointsman.v1 import policy_pb2 as _policy_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class AvailabilityState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    AVAILABILITY_STATE_UNSPECIFIED: _ClassVar[AvailabilityState]
    AVAILABILITY_STATE_CLOSED: _ClassVar[AvailabilityState]
    AVAILABILITY_STATE_OPEN: _ClassVar[AvailabilityState]
    AVAILABILITY_STATE_HALF_OPEN: _ClassVar[AvailabilityState]
    AVAILABILITY_STATE_RAMPING: _ClassVar[AvailabilityState]
    AVAILABILITY_STATE_UNAVAILABLE: _ClassVar[AvailabilityState]
AVAILABILITY_STATE_UNSPECIFIED: AvailabilityState
AVAILABILITY_STATE_CLOSED: AvailabilityState
AVAILABILITY_STATE_OPEN: AvailabilityState
AVAILABILITY_STATE_HALF_OPEN: AvailabilityState
AVAILABILITY_STATE_RAMPING: AvailabilityState
AVAILABILITY_STATE_UNAVAILABLE: AvailabilityState

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReloadArtifactRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RollbackArtifactRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("served", "previous", "rolled_back", "shadow", "shadow_missed", "canary", "canary_share")
    SERVED_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    ROLLED_BACK_FIELD_NUMBER: _ClassVar[int]
    SHADOW_FIELD_NUMBER: _ClassVar[int]
    SHADOW_MISSED_FIELD_NUMBER: _ClassVar[int]
    CANARY_FIELD_NUMBER: _ClassVar[int]
    CANARY_SHARE_FIELD_NUMBER: _ClassVar[int]
    served: ArtifactSlot
    previous: LoadedArtifact
    rolled_back: str
    shadow: ArtifactSlot
    shadow_missed: int
    canary: ArtifactSlot
    canary_share: float
    def __init__(self, served: _Optional[_Union[ArtifactSlot, _Mapping]] = ..., previous: _Optional[_Union[LoadedArtifact, _Mapping]] = ..., rolled_back: _Optional[str] = ..., shadow: _Optional[_Union[ArtifactSlot, _Mapping]] = ..., shadow_missed: _Optional[int] = ..., canary: _Optional[_Union[ArtifactSlot, _Mapping]] = ..., canary_share: _Optional[float] = ...) -> None: ...

class ArtifactSlot(_message.Message):
    __slots__ = ("now", "path", "refused")
    NOW_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    now: LoadedArtifact
    path: str
    refused: ArtifactRefusal
    def __init__(self, now: _Optional[_Union[LoadedArtifact, _Mapping]] = ..., path: _Optional[str] = ..., refused: _Optional[_Union[ArtifactRefusal, _Mapping]] = ...) -> None: ...

class LoadedArtifact(_message.Message):
    __slots__ = ("version", "path", "loaded_at_unix_ms", "encoder_sha256", "exits")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    LOADED_AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    ENCODER_SHA256_FIELD_NUMBER: _ClassVar[int]
    EXITS_FIELD_NUMBER: _ClassVar[int]
    version: str
    path: str
    loaded_at_unix_ms: int
    encoder_sha256: str
    exits: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, version: _Optional[str] = ..., path: _Optional[str] = ..., loaded_at_unix_ms: _Optional[int] = ..., encoder_sha256: _Optional[str] = ..., exits: _Optional[_Iterable[int]] = ...) -> None: ...

class ArtifactRefusal(_message.Message):
    __slots__ = ("reason", "message", "at_unix_ms")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    at_unix_ms: int
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., at_unix_ms: _Optional[int] = ...) -> None: ...

class ReloadArtifactResponse(_message.Message):
    __slots__ = ("changed", "status")
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    changed: bool
    status: GetStatusResponse
    def __init__(self, changed: bool = ..., status: _Optional[_Union[GetStatusResponse, _Mapping]] = ...) -> None: ...

class RollbackArtifactResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: GetStatusResponse
    def __init__(self, status: _Optional[_Union[GetStatusResponse, _Mapping]] = ...) -> None: ...

class ExportOutcomesRequest(_message.Message):
    __slots__ = ("cursor",)
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    def __init__(self, cursor: _Optional[str] = ...) -> None: ...

class ExportOutcomesResponse(_message.Message):
    __slots__ = ("outcomes", "feedback", "cursor")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[ExportedOutcome]
    feedback: _containers.RepeatedCompositeFieldContainer[ExportedFeedback]
    cursor: str
    def __init__(self, outcomes: _Optional[_Iterable[_Union[ExportedOutcome, _Mapping]]] = ..., feedback: _Optional[_Iterable[_Union[ExportedFeedback, _Mapping]]] = ..., cursor: _Optional[str] = ...) -> None: ...

class ExportedOutcome(_message.Message):
    __slots__ = ("decision_id", "at_unix_ms", "record_version", "record_json", "features", "embedding")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    RECORD_VERSION_FIELD_NUMBER: _ClassVar[int]
    RECORD_JSON_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    at_unix_ms: int
    record_version: int
    record_json: str
    features: _containers.RepeatedScalarFieldContainer[float]
    embedding: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, decision_id: _Optional[str] = ..., at_unix_ms: _Optional[int] = ..., record_version: _Optional[int] = ..., record_json: _Optional[str] = ..., features: _Optional[_Iterable[float]] = ..., embedding: _Optional[_Iterable[float]] = ...) -> None: ...

class ExportedFeedback(_message.Message):
    __slots__ = ("decision_id", "at_unix_ms", "kind", "signal", "about", "score", "weight", "idempotency_key", "comment")
    DECISION_ID_FIELD_NUMBER: _ClassVar[int]
    AT_UNIX_MS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_FIELD_NUMBER: _ClassVar[int]
    ABOUT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    decision_id: str
    at_unix_ms: int
    kind: str
    signal: str
    about: str
    score: float
    weight: float
    idempotency_key: str
    comment: str
    def __init__(self, decision_id: _Optional[str] = ..., at_unix_ms: _Optional[int] = ..., kind: _Optional[str] = ..., signal: _Optional[str] = ..., about: _Optional[str] = ..., score: _Optional[float] = ..., weight: _Optional[float] = ..., idempotency_key: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class DeleteOutcomesRequest(_message.Message):
    __slots__ = ("metadata_key", "metadata_value")
    METADATA_KEY_FIELD_NUMBER: _ClassVar[int]
    METADATA_VALUE_FIELD_NUMBER: _ClassVar[int]
    metadata_key: str
    metadata_value: str
    def __init__(self, metadata_key: _Optional[str] = ..., metadata_value: _Optional[str] = ...) -> None: ...

class DeleteOutcomesResponse(_message.Message):
    __slots__ = ("outcomes", "feedback", "exported")
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    EXPORTED_FIELD_NUMBER: _ClassVar[int]
    outcomes: int
    feedback: int
    exported: int
    def __init__(self, outcomes: _Optional[int] = ..., feedback: _Optional[int] = ..., exported: _Optional[int] = ...) -> None: ...

class ListAvailabilityRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListAvailabilityResponse(_message.Message):
    __slots__ = ("deployments",)
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    deployments: _containers.RepeatedCompositeFieldContainer[DeploymentAvailability]
    def __init__(self, deployments: _Optional[_Iterable[_Union[DeploymentAvailability, _Mapping]]] = ...) -> None: ...

class DeploymentAvailability(_message.Message):
    __slots__ = ("deployment", "state", "since_ms", "until_ms", "failure", "unavailable", "speed")
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    SINCE_MS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_MS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    UNAVAILABLE_FIELD_NUMBER: _ClassVar[int]
    SPEED_FIELD_NUMBER: _ClassVar[int]
    deployment: str
    state: AvailabilityState
    since_ms: int
    until_ms: int
    failure: _decision_pb2.FailureClass
    unavailable: str
    speed: LiveSpeed
    def __init__(self, deployment: _Optional[str] = ..., state: _Optional[_Union[AvailabilityState, str]] = ..., since_ms: _Optional[int] = ..., until_ms: _Optional[int] = ..., failure: _Optional[_Union[_decision_pb2.FailureClass, str]] = ..., unavailable: _Optional[str] = ..., speed: _Optional[_Union[LiveSpeed, _Mapping]] = ...) -> None: ...

class LiveSpeed(_message.Message):
    __slots__ = ("samples", "ttft_ms_p50", "ttft_ms_p95", "token_ms_p50", "latency_ratio_p50", "latency_ratio_p95", "latency_coverage_90")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    TTFT_MS_P50_FIELD_NUMBER: _ClassVar[int]
    TTFT_MS_P95_FIELD_NUMBER: _ClassVar[int]
    TOKEN_MS_P50_FIELD_NUMBER: _ClassVar[int]
    LATENCY_RATIO_P50_FIELD_NUMBER: _ClassVar[int]
    LATENCY_RATIO_P95_FIELD_NUMBER: _ClassVar[int]
    LATENCY_COVERAGE_90_FIELD_NUMBER: _ClassVar[int]
    samples: int
    ttft_ms_p50: float
    ttft_ms_p95: float
    token_ms_p50: float
    latency_ratio_p50: float
    latency_ratio_p95: float
    latency_coverage_90: float
    def __init__(self, samples: _Optional[int] = ..., ttft_ms_p50: _Optional[float] = ..., ttft_ms_p95: _Optional[float] = ..., token_ms_p50: _Optional[float] = ..., latency_ratio_p50: _Optional[float] = ..., latency_ratio_p95: _Optional[float] = ..., latency_coverage_90: _Optional[float] = ...) -> None: ...

class SetFaultsRequest(_message.Message):
    __slots__ = ("faults", "ttl_ms")
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    TTL_MS_FIELD_NUMBER: _ClassVar[int]
    faults: _containers.RepeatedCompositeFieldContainer[_policy_pb2.ForcedFault]
    ttl_ms: int
    def __init__(self, faults: _Optional[_Iterable[_Union[_policy_pb2.ForcedFault, _Mapping]]] = ..., ttl_ms: _Optional[int] = ...) -> None: ...

class ListFaultsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClearFaultsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class FaultsResponse(_message.Message):
    __slots__ = ("faults", "left_ms")
    FAULTS_FIELD_NUMBER: _ClassVar[int]
    LEFT_MS_FIELD_NUMBER: _ClassVar[int]
    faults: _containers.RepeatedCompositeFieldContainer[StandingFault]
    left_ms: int
    def __init__(self, faults: _Optional[_Iterable[_Union[StandingFault, _Mapping]]] = ..., left_ms: _Optional[int] = ...) -> None: ...

class StandingFault(_message.Message):
    __slots__ = ("fault", "struck")
    FAULT_FIELD_NUMBER: _ClassVar[int]
    STRUCK_FIELD_NUMBER: _ClassVar[int]
    fault: _policy_pb2.ForcedFault
    struck: int
    def __init__(self, fault: _Optional[_Union[_policy_pb2.ForcedFault, _Mapping]] = ..., struck: _Optional[int] = ...) -> None: ...
