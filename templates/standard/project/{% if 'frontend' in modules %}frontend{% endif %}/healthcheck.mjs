// Asks the running server whether it is well; for HEALTHCHECK.
import { get } from "node:http";

get({ host: "127.0.0.1", port: process.env.PORT ?? "8000", path: "/health", timeout: 3000 }, (answer) => {
  process.exit(answer.statusCode === 200 ? 0 : 1);
}).on("error", () => process.exit(1));
