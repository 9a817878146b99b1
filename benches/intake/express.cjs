// What a platform team can write in an afternoon; our intake is compared with it. Express verifies Standard Webhooks,
// BullMQ queues them, and a webhook's id is its job's id. `node express.cjs REDIS-URL` prints its port.
const crypto = require('node:crypto');
const express = require('express');
const { Queue } = require('bullmq');

const key = Buffer.from(process.env.HR_SECRET.slice('whsec_'.length), 'base64');
const { hostname, port } = new URL(process.argv[2]);
const queue = new Queue('hr', { connection: { host: hostname, port: Number(port) } });
const app = express();

app.post('/webhooks/hr', express.raw({ type: 'application/json' }), async (request, response) => {
  const id = request.get('webhook-id');
  const at = request.get('webhook-timestamp');
  const signed = crypto.createHmac('sha256', key).update(`${id}.${at}.`).update(request.body).digest();
  const given = Buffer.from((request.get('webhook-signature') ?? '').slice('v1,'.length), 'base64');
  const isGenuine = given.length === signed.length && crypto.timingSafeEqual(given, signed);
  if (!isGenuine || Math.abs(Date.now() / 1000 - Number(at)) > 300) return response.sendStatus(401);
  const { type, data } = JSON.parse(request.body);
  const job = { person: data.employee_id, email: data.email, given: data.first_name, family: data.last_name };
  await queue.add(type, job, { jobId: id });
  response.json({ status: 'accepted' });
});

const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port));
