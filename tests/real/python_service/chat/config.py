"""The service's settings, read once from the environment and refused as a whole when one is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    PositiveInt,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)

Filled = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Settings(BaseModel):
    """Each field is a variable, its name in capitals; an empty variable counts as unset."""

    model_config = ConfigDict(alias_generator=str.upper, frozen=True, hide_input_in_errors=True)

    environment: Literal["development", "staging", "production"] = Field(
        "development", validation_alias=AliasChoices("APP_ENV", "NODE_ENV")
    )
    host: Filled = "0.0.0.0"
    port: int = Field(8080, ge=0, le=65535)
    git_revision: Filled = "unknown"
    log_level: Literal["fatal", "error", "warn", "info", "debug", "silent"] = "info"
    log_file: Path | None = None
    mistral_api_key: SecretStr | None = None
    mistral_api_key_file: Path | None = None
    mistral_base_url: HttpUrl | None = None
    mistral_model: Filled
    mistral_fallback_model: Filled | None = None
    fallback_text: Filled = "The assistant is not available at the moment. Please try again in a few minutes."
    request_deadline_ms: PositiveInt = 30_000
    retry_max: int = Field(3, ge=0)
    breaker_threshold: PositiveInt = 5
    breaker_reset_ms: PositiveInt = 30_000
    max_concurrency: PositiveInt = 32

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not (self.mistral_api_key or self.mistral_api_key_file):
            raise ValueError("MISTRAL_API_KEY: set it, or MISTRAL_API_KEY_FILE")
        if self.mistral_fallback_model == self.mistral_model:
            raise ValueError("MISTRAL_FALLBACK_MODEL: equals MISTRAL_MODEL, which is no fallback")
        return self

    @property
    def deadline(self) -> float:
        """Seconds for a message as a whole."""
        return self.request_deadline_ms / 1000

    @property
    def breaker_reset(self) -> float:
        """Seconds until an open circuit lets a trial through."""
        return self.breaker_reset_ms / 1000

    def api_key(self) -> str:
        """The key as of now: a mounted file is read anew for each call, so that a rotated key needs no restart."""
        if self.mistral_api_key_file:
            return self.mistral_api_key_file.read_text().strip()
        return self.mistral_api_key.get_secret_value() if self.mistral_api_key else ""


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Raises ValueError, which names each wrong variable and never its value."""
    filled = {name: value for name, value in environment.items() if value}
    try:
        return Settings.model_validate(filled)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}".lstrip(": ") for item in error.errors())
        raise ValueError("The environment is not complete:\n  " + "\n  ".join(problems)) from None
