// The manager's methods, as they are attached to a connection; a server may offer more.

import type { RemoteService, ServiceInfo } from "./service.js";

/** Settings of a token. */
export interface TokenConfig {
  /** How long it lives, in seconds. */
  expires_in?: number;
  /** The workspace that it is for. */
  workspace?: string;
  /** What its bearer may do. */
  permission?: "read" | "read_write" | "admin";
  /** The client that it is for. */
  client_id?: string;
  /** Names of the services that it is for, `*` stands for anything; all by default. */
  services?: string[];
  /** Names of the methods that it is for, in the same way. */
  methods?: string[];
  /** How many calls may be made with it. */
  max_uses?: number;
  [key: string]: unknown;
}

/** What every server's manager offers. */
export interface Manager {
  /** Gives back what it was given: a way to see that the server is there. */
  echo<Data>(data: Data): Promise<Data>;
  /** Writes a line into the server's log. */
  log(message: string): Promise<void>;
  /** The services of a workspace. */
  listServices(query?: string | Record<string, unknown>): Promise<ServiceInfo[]>;
  /** What the server knows of a service. */
  getServiceInfo(serviceId: string, config?: Record<string, unknown>): Promise<ServiceInfo>;
  /** The clients of a workspace. */
  listClients(workspace?: string): Promise<{ id: string; user?: unknown; [key: string]: unknown }[]>;
  /** Makes a token for others. */
  generateToken(config?: TokenConfig): Promise<string>;
  /** Reads a token. */
  parseToken(token: string): Promise<Record<string, unknown>>;
  /** Ends a token, the tokens that were made with it, and the connections of both. */
  revokeToken(token: string): Promise<void>;
  /** Makes a workspace. */
  createWorkspace(config: Record<string, unknown>, overwrite?: boolean): Promise<RemoteService>;
}
