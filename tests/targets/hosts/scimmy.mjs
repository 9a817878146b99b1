// SCIMMY (npm) on Express, with its resources kept in memory. Arguments: port, token.
import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [port, token] = process.argv.slice(2);

function kept(unique) {
  const resources = new Map();
  return {
    ingress(resource, data) {
      const id = resource.id ?? randomUUID();
      if (resource.id && !resources.has(id)) throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
      const same = (other) => other.id !== id && other[unique]?.toLowerCase() === data[unique]?.toLowerCase();
      if ([...resources.values()].some(same)) throw new SCIMMY.Types.Error(409, "uniqueness", `${unique} is taken`);
      const now = new Date().toISOString();
      const created = resources.get(id)?.meta.created ?? now;
      const stored = { ...JSON.parse(JSON.stringify(data)), id, meta: { created, lastModified: now } };
      resources.set(id, stored);
      return stored;
    },
    egress(resource) {
      if (!resource.id) {
        const all = [...resources.values()];
        return resource.filter ? resource.filter.match(all) : all;
      }
      if (!resources.has(resource.id)) throw new SCIMMY.Types.Error(404, null, `Resource ${resource.id} not found`);
      return resources.get(resource.id);
    },
    degress(resource) {
      resources.delete(resource.id);
    },
  };
}

SCIMMY.Resources.declare(SCIMMY.Resources.User, kept("userName"));
SCIMMY.Resources.declare(SCIMMY.Resources.Group, kept("displayName"));
SCIMMY.Config.set({ patch: true, filter: true });

const app = express();
const handler = (request) => {
  if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("who are you?");
  return "bridge";
};
app.use("/scim/v2", new SCIMMYRouters({ type: "bearer", handler }));
app.listen(Number(port), "127.0.0.1");
