// Two ends of a connection inside this program, over which `node:http` speaks with itself.
import { Duplex } from "node:stream";

/** Who is at the other end, as far as apps ask for it. */
export interface Peer {
  remoteAddress?: string | undefined;
  remotePort?: number | undefined;
  encrypted?: boolean;
}

/** What is written at one end is read at the other; a writer waits for the reader. */
export class End extends Duplex {
  #other: End | undefined;
  #written: (() => void) | undefined;
  declare readonly remoteAddress: string | undefined;
  declare readonly remotePort: number | undefined;
  declare readonly encrypted: boolean | undefined;

  /** Both ends; `peer` is what the second one says of the first. */
  static pair(peer: Peer): [near: End, far: End] {
    const [near, far] = [new End(), new End()];
    near.#other = far;
    far.#other = near;
    Object.assign(far, peer);
    return [near, far];
  }

  override _read(): void {
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const other = this.#other;
    if (other === undefined || other.destroyed) return done(new Error("the other end is gone"));
    if (chunk.length === 0) return void process.nextTick(done);
    other.#written = done;
    other.push(chunk);
  }

  override _final(done: () => void): void {
    if (this.#other && !this.#other.destroyed) this.#other.push(null);
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const other = this.#other;
    const isRead = other === undefined || other.readableEnded || this.writableFinished;
    if (!isRead) process.nextTick(() => other.destroy());
    this._read();
    done(error);
  }

  // what sockets can do beyond, and what does not matter here
  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }
}
