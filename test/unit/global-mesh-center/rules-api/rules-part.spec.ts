import { expect } from 'chai'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as immediate } from 'node:timers/promises'
import { checkConfig } from '../../../../agent/control/config/check.ts'
import type { PartDeps } from '../../../../agent/control/leading-part.ts'
import { systemClock } from '../../../../contracts/clock.ts'
import { centerKind } from '../../../../global-mesh-center/config/center-kind.ts'
import type { CenterConfig } from '../../../../global-mesh-center/config/types.ts'
import { RulesPart } from '../../../../global-mesh-center/rules-api/rules-part.ts'
import { freePort } from '../../../support/free-port.ts'
import { eventually } from '../../../support/worker/eventually.ts'

const listPath = '/apis/networking.istio.io/v1/virtualservices'
const watchPath = `${listPath}?watch=1`
const machine = { hostName: 'center-1', defaultAddress: '10.0.0.8', processors: 2 }
const kernelPorts = { ephemeral: undefined, reserved: [] }
const log = { debug() {}, info() {}, warn() {}, error() {} }

describe('the rules of a center', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hostmesh-rules-part-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  function configOf(port: number): CenterConfig {
    const file = join(folder, 'center.yaml')
    const rulesApi = `rulesApi: { address: 127.0.0.1:${port}, withoutToken: admin }`
    writeFileSync(file, `role: center\nrelay: { allowedNetworks: [10.0.0.0/8] }\nstateDir: ${folder}\n${rulesApi}\n`)
    return checkConfig(file, centerKind, { machine, kernelPorts }).config as CenterConfig
  }

  it('counts watches at the port and at the admin socket together', async () => {
    const gauges = new Map<string, number>()
    const metrics = { count() {}, gauge: (name: string, _labels: object, value: number) => gauges.set(name, value) }
    const port = await freePort()
    const rules = { version: 0, statuses: () => [] }
    const control = { core: { replaceRules() {} }, deps: { rules }, timeline: { add() {} } }
    const deps = { config: configOf(port), control, clock: systemClock, random: () => 0.5, log, metrics }
    const part = new RulesPart(deps as unknown as PartDeps<CenterConfig>, '1.2.3', () => {})
    const socket = createServer((incoming, outgoing) => void part.socketApi.answer(incoming, outgoing))
    const abort = new AbortController()
    try {
      await part.open()
      await once(socket.listen(0, '127.0.0.1'), 'listening')
      // the store is read beside the opening
      while ((await fetch(`http://127.0.0.1:${port}${listPath}`)).status === 503) await immediate()
      for (const at of [port, (socket.address() as AddressInfo).port])
        expect((await fetch(`http://127.0.0.1:${at}${watchPath}`, { signal: abort.signal })).status).to.equal(200)
      expect(gauges.get('rules_api_watches')).to.equal(2)
      abort.abort()
      await eventually(() => gauges.get('rules_api_watches') === 0)
    } finally {
      abort.abort()
      socket.close()
      await part.close()
    }
  })
})
