import { expect } from 'chai'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TelemetryReceiver } from '../../../../../agent/control/telemetry/receiver.ts'
import { frameOf, shortGroup } from '../../../../support/otlp/short-groups.ts'

const frame = frameOf('logs', shortGroup('shop', [Buffer.from([0x10, 9])]))
const maxStreams = 256

describe('streams of records from workers', () => {
  let folder: string
  let path: string
  let receiver: TelemetryReceiver
  let hasRoom: boolean
  let onHeard: () => void
  const open: Socket[] = []

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-receiver-'))
    path = join(folder, 'telemetry.sock')
    receiver = new TelemetryReceiver(
      path,
      () => {
        onHeard()
        return hasRoom
      },
      () => undefined,
    )
    await receiver.listen()
  })
  afterEach(async () => {
    for (const socket of open.splice(0)) socket.destroy()
    await receiver.close(0)
    rmSync(folder, { recursive: true })
  })

  /** A worker that says something; resolves when it was heard. */
  async function said(): Promise<Socket> {
    const socket = connect(path)
    const heard = new Promise<void>((resolve) => (onHeard = resolve))
    socket.write(frame)
    await heard
    return socket
  }

  it('are taken from new workers however many died while there was no room', async () => {
    hasRoom = false
    for (let nth = 0; nth <= maxStreams; nth++) (await said()).end()
  })

  it('are bounded, and those that are read are not given up for new ones', async () => {
    hasRoom = true
    for (let nth = 0; nth < maxStreams; nth++) open.push(await said())
    const refused = connect(path)
    refused.on('error', () => undefined)
    await once(refused, 'close')
    expect(open.filter(({ destroyed }) => destroyed)).to.deep.equal([])
    open.shift()!.destroy()
  })
})
