import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { etcdAdapter } from '../../../support/etcd/adapter.ts'
import { eventually, recordingListener } from '../../../support/registry-listener.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const instance = {
  key: base64('/services/orders/a'),
  value: base64('{"address":"10.0.0.1","port":80}'),
  mod_revision: '5',
}

describe('etcd as a registry', () => {
  it('lists a service once more when the watch broke while it was being listed', async () => {
    const watches: ServerResponse[] = []
    const lists: ServerResponse[] = []
    const server = createServer((request, response) => {
      void json(request).then((body) => {
        if (request.url === '/v3/watch') {
          watches.push(response)
          response.write('{"result":{"header":{"revision":"5"},"created":true}}\n')
        } else if ((body as { key: string }).key === base64('/services/orders/')) lists.push(response)
        else response.end('{"header":{"revision":"5"}}')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const adapter = etcdAdapter((server.address() as AddressInfo).port)
    const listener = recordingListener()
    try {
      adapter.subscribe({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }, listener)
      adapter.start()
      await eventually(() => watches.length === 1 && lists.length === 1, 'a watch and a list')
      // what is removed from here on is told by no watch
      watches[0]!.end()
      await eventually(() => watches.length === 2, 'another watch')
      lists[0]!.end(JSON.stringify({ header: { revision: '5' }, kvs: [instance] }))
      await listener.untilIds(['10.0.0.1:80'])
      await eventually(() => lists.length === 2, 'another list')
      lists[1]!.end('{"header":{"revision":"6"}}')
      await listener.untilIds([])
    } finally {
      await adapter.close()
      server.closeAllConnections()
      server.close()
    }
  })
})
