// CloudEvents as JavaScript has them: plain objects of their attributes and `data`. See `docs/cloudevents.md`.
import { randomUUID } from "node:crypto";

/** A CloudEvent: its attributes, extensions among them, and its data. */
export interface CloudEvent {
  specversion: string;
  id: string;
  source: string;
  type: string;
  subject?: string;
  /** RFC 3339. */
  time?: string;
  datacontenttype?: string;
  dataschema?: string;
  /** By its content type: JSON as values, text as a string, everything else as a `Buffer`. */
  data?: unknown;
  [extension: string]: unknown;
}

/** Builds a CloudEvent step by step. */
export class CloudEventResponse {
  readonly #event: Partial<CloudEvent> = { specversion: "1.0" };

  /** @internal */
  constructor(data?: unknown) {
    if (data !== undefined) this.#event.data = data;
  }

  /** Sets `specversion`, which is 1.0 anyway. */
  version(version: string): this {
    return this.#with("specversion", version);
  }

  /** Sets the `id`; without it a new one is made. */
  id(id: string): this {
    return this.#with("id", id);
  }

  /** Sets the `type`. */
  type(type: string): this {
    return this.#with("type", type);
  }

  /** Sets the `source`. */
  source(source: string): this {
    return this.#with("source", source);
  }

  /** The event; its `time` is now. */
  response(): CloudEvent {
    return { id: randomUUID(), time: new Date().toISOString(), ...this.#event } as CloudEvent;
  }

  #with(name: string, value: string): this {
    this.#event[name] = value;
    return this;
  }
}
