/**
 * Serves `loden status` and other commands: HTTP over a unix socket that only its
 * owner can open.
 *
 *     curl --unix-socket /run/loden/coreos.com-network.sock http://loden/status
 *
 * @module
 */

import { RunDirectoryError } from "../errors.ts";
import type { InstancePaths } from "../instance/instance.ts";
import { RequestServer, type StreamHandler } from "./request_server.ts";
import { answerRoute, type Routes } from "./routes.ts";

/** The socket, mode 0600, in a directory that must exist. */
export class StatusServer {
  readonly #server: RequestServer;
  readonly #socket: string;

  private constructor(server: RequestServer, socket: string) {
    this.#server = server;
    this.#socket = socket;
  }

  /**
   * Call it with the instance's lock held: an existing socket then belongs to a
   * dead agent and is replaced.
   *
   * @throws {RunDirectoryError} if the socket cannot be created.
   */
  static start(
    paths: InstancePaths,
    routes: Routes,
    streams: ReadonlyMap<string, StreamHandler> = new Map(),
  ): StatusServer {
    removeStaleSocket(paths.socket);
    // The mode must be right from the first moment: with a chmod after the
    // bind, the socket would be open to all users in between.
    const umask = Deno.umask(0o177);
    try {
      const server = new RequestServer(
        Deno.listen({ transport: "unix", path: paths.socket }),
        (request) =>
          answerRoute(request, routes) ??
            answerRoute(request, streams) ??
            { status: 404, body: "not found: try /status\n" },
      );
      return new StatusServer(server, paths.socket);
    } catch (error) {
      throw new RunDirectoryError("listen on", paths.socket, error);
    } finally {
      Deno.umask(umask);
    }
  }

  async stop(): Promise<void> {
    await this.#server.stop();
    removeStaleSocket(this.#socket);
  }
}

function removeStaleSocket(path: string): void {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new RunDirectoryError("look at", path, error);
  }
  if (!info.isSocket) {
    throw new RunDirectoryError(
      "listen on",
      path,
      new Error("a file that is not a socket exists there"),
    );
  }
  try {
    Deno.removeSync(path);
  } catch (error) {
    throw new RunDirectoryError("remove the old socket", path, error);
  }
}
