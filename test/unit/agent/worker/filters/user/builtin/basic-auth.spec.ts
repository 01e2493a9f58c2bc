import { createHash, scryptSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'chai'
import { parseHtpasswd } from '../../../../../../../agent/worker/filters/user/builtin/htpasswd.ts'
import { FilteredWorker } from '../../../../../../support/user-filters.ts'
import type { Got } from '../../../../../../support/user-filters.ts'

const sha = (password: string): string => `{SHA}${createHash('sha1').update(password).digest('base64')}`
const plain = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')

function scrypted(password: string): string {
  const salt = Buffer.from('0123456789abcdef')
  return `$scrypt$ln=10,r=8,p=1$${plain(salt)}$${plain(scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 }))}`
}

describe('basic authentication', () => {
  let worker: FilteredWorker | undefined
  let directory: string
  let file: string

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'hostmesh-passwords-'))
    file = join(directory, 'users')
  })

  afterEach(async () => {
    await worker?.stop()
    worker = undefined
    rmSync(directory, { recursive: true })
  })

  async function start(text: string, mode = 0o600): Promise<void> {
    writeFileSync(file, text, { mode })
    const settings = { file, realm: 'shop', userHeader: 'x-user' }
    worker = await FilteredWorker.start([{ name: 'who', builtin: 'basicAuth', settings }])
    await worker!.started.worker.filters.userFilters.settled()
  }

  const as = (pair: string, more: Record<string, string> = {}): Promise<Got> =>
    worker!.call({ headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}`, ...more } })

  it('lets in who has the password of either kind, and tells the application who it is', async () => {
    await start(`# staff\nann:${sha('sesame')}\nbob:${scrypted('open:wide')}\n`)
    for (const pair of ['ann:sesame', 'bob:open:wide', 'bob:open:wide']) {
      expect((await as(pair, { 'x-user': 'root' })).status, pair).to.equal(200)
      expect(worker!.lastHead())
        .to.include(`x-user: ${pair.slice(0, 3)}\n`)
        .and.not.include('root')
      expect(worker!.lastHead()).to.not.include('authorization')
    }
  })

  it('refuses everybody else with the realm', async () => {
    await start(`ann:${sha('sesame')}\nbob:${scrypted('open')}\n`)
    for (const pair of ['ann:Sesame', 'ann:', 'bob:sesame', 'eve:open', ':open', 'nonsense', 'a\nb:open'])
      expect((await as(pair)).status, pair).to.equal(401)
    const { headers, status } = await worker!.call()
    expect(status).to.equal(401)
    expect(headers).to.include({ 'www-authenticate': 'Basic realm="shop", charset="UTF-8"' })
    expect((await worker!.call({ headers: { authorization: 'Bearer abc' } })).status).to.equal(401)
    expect(worker!.backend.requests).to.have.length(0)
  })

  it('is off with a file that others may read or that cannot be read', async () => {
    await start(`ann:${sha('sesame')}\n`, 0o644)
    const [first] = worker!.started.worker.filters.userFilters.dumps()
    expect(first).to.include({ state: 'failed' })
    expect(first!.why).to.match(/chmod 600/)
    expect((await as('ann:sesame')).status).to.equal(503)
  })

  it('reads no hash that it cannot compare, and says in which line', () => {
    for (const hash of [
      '$2y$05$abcdefghijklmnopqrstuv',
      'plain',
      '{SHA}short',
      '$scrypt$ln=30,r=8,p=1$c2FsdHNhbHQ$MDEyMzQ1Njc4OWFiY2RlZg',
      '$apr1$a$b',
    ])
      expect(() => parseHtpasswd(`ok:${sha('a')}\nbad:${hash}\n`), hash).to.throw(/^line 2: allowed/)
  })
})
