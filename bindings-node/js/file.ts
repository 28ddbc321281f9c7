// Files of peers, and our own on their way out: what is sent of a file are the functions that read it.
import { Blob, File } from "node:buffer";
import type { RemoteFunction } from "./remote.js";

/** So much is read of a file at once. */
const BLOCK = 1 << 20;

/**
 * A file, or something like one, of a peer: a `Blob` or `File` of JavaScript, a file object of Python. Its content stays
 * with the peer until it is read. The functions that the peer offers are its members: `read`, `seek`, ...
 *
 * @example
 * const file = await service.openLog();
 * console.log(file.name, await file.text());
 */
export class RemoteFile {
  /** The name, where it has one. */
  declare readonly name?: string | null;
  /** The media type, where it is known. */
  declare readonly type?: string | null;
  /** The length in bytes, where it is known. */
  declare readonly size?: number | null;
  /** Reads so many bytes from where it stands, or all that is left; text from a file that was opened for text. */
  declare readonly read: RemoteFunction;
  /** Goes to a position. */
  declare readonly seek?: RemoteFunction;
  // biome-ignore lint/suspicious/noExplicitAny: what else there is, only the peer knows
  [member: string]: any;
  readonly #members: Record<string, unknown>;

  /** @internal */
  constructor(members: Record<string, unknown>) {
    this.#members = members;
    for (const [name, member] of Object.entries(members)) {
      if (name.startsWith("_")) continue;
      Object.defineProperty(this, name, {
        value: member,
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
  }

  /** @internal */
  static membersOf(file: RemoteFile): Record<string, unknown> {
    return file.#members;
  }

  /** The content from the beginning, block by block. */
  async *blocks(size: number = BLOCK): AsyncGenerator<Uint8Array, void, undefined> {
    await this.seek?.(0);
    for (;;) {
      const block: unknown = await this.read(size);
      const bytes = typeof block === "string" ? Buffer.from(block) : (block as Uint8Array | null);
      if (!bytes?.length) return;
      yield bytes;
    }
  }

  /** The whole content. */
  async bytes(): Promise<Uint8Array> {
    const blocks: Uint8Array[] = [];
    for await (const block of this.blocks()) blocks.push(block);
    return Buffer.concat(blocks);
  }

  /** The whole content as an `ArrayBuffer`. */
  async arrayBuffer(): Promise<ArrayBuffer> {
    return Uint8Array.from(await this.bytes()).buffer;
  }

  /** The whole content as text. */
  async text(): Promise<string> {
    return new TextDecoder().decode(await this.bytes());
  }

  /** The whole content as a `Blob`; as a `File` when it has a name. */
  async blob(): Promise<Blob> {
    const content = [await this.bytes()];
    const options = { type: this.type ?? "" };
    return typeof this.name === "string" ? new File(content, this.name, options) : new Blob(content, options);
  }

  /** The content as it is read. */
  stream(): ReadableStream<Uint8Array> {
    return ReadableStream.from(this.blocks());
  }
}

/** What is sent of a file that came from a peer: what came. */
export const { membersOf } = RemoteFile;

/** What is sent of a `Blob` or `File`. */
export function blobMembers(blob: Blob): Record<string, unknown> {
  let position = 0;
  const { name, webkitRelativePath } = blob as { name?: string; webkitRelativePath?: string };
  const read = async (length?: number | null): Promise<Uint8Array> => {
    const end = length == null ? blob.size : position + length;
    const content = Buffer.from(await blob.slice(position, end).arrayBuffer());
    position += content.length;
    return content;
  };
  const seek = (to: number): void => {
    position = to;
  };
  const described = { type: blob.type, name, size: blob.size, path: webkitRelativePath };
  return { _rtype: "iostream", _rnative: "js:blob", ...described, read, seek };
}
