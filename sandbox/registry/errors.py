"""The errors of the schema registry, with the codes and texts of Confluent's registry."""

from sandbox.kafka.errors import SandboxError
from sandbox.model.registry import CONFLICT_CODES, Subject


class RegistryError(SandboxError):
    """A request that the registry refuses.

    Args:
        code: the error code. Its first three digits are the HTTP status.
        message: a sentence for the user.
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(str(self.code)[:3])


class Incompatible(RegistryError):
    """A schema that is not compatible with an earlier one; the server chooses one of `CONFLICT_CODES`."""


def subject_not_found(subject: object) -> RegistryError:
    """The subject does not exist."""
    return RegistryError(40401, f"Subject '{subject}' not found.")


def version_not_found(version: int) -> RegistryError:
    """The subject has no such version."""
    return RegistryError(40402, f"Version {version} not found.")


def schema_not_found(schema: object = None) -> RegistryError:
    """There is no such schema; `schema` is its id or GUID, if the request has one."""
    return RegistryError(40403, "Schema not found" if schema is None else f"Schema {schema} not found")


def subject_soft_deleted(subject: Subject) -> RegistryError:
    """The subject was soft-deleted before."""
    return RegistryError(40404, f"Subject '{subject}' was soft deleted.Set permanent=true to delete permanently")


def subject_not_soft_deleted(subject: Subject) -> RegistryError:
    """A subject is soft-deleted before it is deleted permanently."""
    return RegistryError(40405, f"Subject '{subject}' was not deleted first before being permanently deleted")


def version_soft_deleted(subject: Subject, version: int) -> RegistryError:
    """The version was soft-deleted before."""
    return RegistryError(
        40406, f"Subject '{subject}' Version {version} was soft deleted.Set permanent=true to delete permanently"
    )


def version_not_soft_deleted(subject: Subject, version: int) -> RegistryError:
    """A version is soft-deleted before it is deleted permanently."""
    return RegistryError(
        40407, f"Subject '{subject}' Version {version} was not deleted first before being permanently deleted"
    )


def no_config(subject: object) -> RegistryError:
    """The subject has no separate compatibility level."""
    return RegistryError(40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def no_mode(subject: object) -> RegistryError:
    """The subject has no separate mode."""
    return RegistryError(40409, f"Subject '{subject}' does not have subject-level mode configured")


def incompatible(subject: Subject, messages: list[str]) -> RegistryError:
    """The schema is not compatible with an earlier one."""
    details = "[" + ", ".join(messages) + "]"
    return Incompatible(
        CONFLICT_CODES[0],
        f'Schema being registered is incompatible with an earlier schema for subject "{subject}", details: {details}',
    )


def invalid_schema(reason: str) -> RegistryError:
    """The schema cannot be parsed, or its references cannot be resolved."""
    return RegistryError(42201, reason)


def invalid_version(version: object) -> RegistryError:
    """The text is not a version."""
    return RegistryError(
        42202,
        f"The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the "
        'string "latest"',
    )


def invalid_level() -> RegistryError:
    """The text is not a compatibility level."""
    return RegistryError(
        42203,
        "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, "
        "forward_transitive, and full_transitive",
    )


def invalid_mode(reason: str | None = None) -> RegistryError:
    """The text is not a mode, or not one for this place."""
    return RegistryError(42204, reason or "Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.")


def not_permitted(reason: str) -> RegistryError:
    """The mode does not allow this."""
    return RegistryError(42205, reason)


def reference_exists(subject: Subject, version: int) -> RegistryError:
    """Another schema refers to the version."""
    return RegistryError(
        42206,
        f"One or more references exist to the schema {{magic=1,keytype=SCHEMA,subject={subject},version={version}}}.",
    )


def invalid_subject(subject: str) -> RegistryError:
    """The name is not one that a subject may have."""
    return RegistryError(42208, f"The specified subject '{subject}' is not a valid.")


def invalid_rule_set(reason: str) -> RegistryError:
    """A rule of a data contract is not valid."""
    return RegistryError(42210, reason)


def schema_too_large() -> RegistryError:
    """The schema is larger than the registry stores."""
    return RegistryError(42209, "Register operation failed because schema is too large")


def context_not_empty(context: Subject) -> RegistryError:
    """A context with subjects cannot be deleted."""
    return RegistryError(42211, f"The specified context '{context}' is not empty.")
