import { connectToServer, ready } from "./package.mjs";

const serverUrl = process.env.SERVER_URL;
const server = await connectToServer({ server_url: serverUrl });

await server.registerProbes({
  readiness: () => ({ status: "ok" }),
  liveness: () => ({ status: "ok" }),
});

async function registerWorkerService(token, appId, number) {
  const worker = await connectToServer({
    server_url: serverUrl,
    token,
    workspace: server.config.workspace,
    client_id: `worker-${number}`,
  });

  function processTask(taskData) {
    return `Task completed: ${taskData}`;
  }

  function getStatus() {
    return { status: "ready", load: 0.5, number };
  }

  function getLoad() {
    if (number === 3) throw new Error("this one does not know");
    return number / 2;
  }

  await worker.registerService({
    id: `worker-service-instance-${number}`,
    name: `Worker Service Instance ${number}`,
    type: "compute",
    app_id: appId,
    config: {
      visibility: "public",
    },
    process_task: processTask,
    get_status: getStatus,
    get_load: getLoad,
  });
  return worker;
}

const token = await server.generateToken();
for (const number of [1, 2, 3]) {
  const worker = await registerWorkerService(token, "my-distributed-app", number);
  // probes of several programs in one workspace
  if (number === 1) await worker.registerProbes({ readiness: () => ({ status: "ok" }) });
}

await ready(server);
