import { expect } from 'chai'
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { bundleOf } from '../../../../cli/support/bundle.ts'
import type { Facts } from '../../../../cli/doctor/facts.ts'
import { type Piece, contents } from '../../../../cli/support/contents.ts'
import { redacted } from '../../../../cli/support/redact.ts'
import { tarOf } from '../../../../cli/support/tar.ts'

const piece = (name: string, text: string | undefined, keeps: Piece['keeps'] = 'head'): Piece => ({ name, text, keeps })

describe('a support bundle', () => {
  it('is a tar with each piece in one folder and a list of all', () => {
    const { file, rows } = bundleOf(
      [piece('a.txt', 'alpha'), { ...piece('b.txt', undefined), problem: 'EACCES' }],
      [],
      'folder',
      0,
    )
    const tar = gunzipSync(file)
    expect(tar.length % 512).to.equal(0)
    expect(tar.toString('latin1')).to.include('folder/MANIFEST.txt').and.to.include('folder/a.txt')
    expect(tar.toString('latin1')).to.include('b.txt  (EACCES)').and.to.not.include('folder/b.txt')
    expect(rows).to.deep.equal([
      { name: 'a.txt', bytes: 5, problem: undefined },
      { name: 'b.txt', bytes: 0, problem: 'EACCES' },
    ])
  })

  it('stays below its bound: the longest piece is cut, a log at its beginning, and the list says so', () => {
    const noise = randomBytes(300_000).toString('base64')
    const pieces = [piece('short.txt', 'short'), piece('log.txt', `${noise}the end`, 'tail')]
    const { file, rows } = bundleOf(pieces, [], 'folder', 0, 100_000)
    expect(file.length).to.be.at.most(100_000)
    const tar = gunzipSync(file).toString('latin1')
    expect(tar).to.include('short').and.to.include('the end')
    expect(rows.find(({ name }) => name === 'log.txt')).to.include({ problem: 'cut, tail kept' })
  })

  it('has no line of a secret file, wherever it stood', () => {
    const { file } = bundleOf([piece('log.txt', 'login with hunter22 failed')], ['hunter22'], 'folder', 0)
    expect(gunzipSync(file).toString()).to.include('login with [masked] failed').and.to.not.include('hunter22')
  })

  it('has nothing that looks like a secret', () => {
    const key = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----'
    for (const [text, left] of [
      [`a ${key} b`, 'a [masked] b'],
      ['authorization: Bearer abcdefgh.ijkl', 'authorization: [masked]'],
      ['token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln x', 'token [masked] x'],
      ['http://admin:s3cret@nacos:8848/', 'http://admin:[masked]@nacos:8848/'],
      ['GET /nacos?accessToken=abc.def&x=1', 'GET /nacos?accessToken=[masked]&x=1'],
      ['{"password": "pa55", "user": "u"}', '{"password": "[masked]", "user": "u"}'],
      ['-----BEGIN PRIVATE KEY-----\ncut off', '[masked]'],
      ['-----END PRIVATE KEY----- of a log whose beginning is cut', '[masked] of a log whose beginning is cut'],
      ['MHcCAQEE\n-----END EC PRIVATE KEY-----\nnext', '[masked]\nnext'],
      ['X-Api-Key: abc123', 'X-Api-Key: [masked]'],
      ['proxy-authorization=abc', 'proxy-authorization=[masked]'],
      ['{"body":"{\\"client_secret\\":\\"abc\\"}"}', '{"body":"{\\"client_secret\\":\\"[masked]\\"}"}'],
      ['aws_secret_access_key = AKIA/x+y', 'aws_secret_access_key = [masked]'],
      ['Set-Cookie: sid=abc; Path=/', 'Set-Cookie: [masked] Path=/'],
      ['user=u pwd=hunter2 db=d', 'user=u pwd=[masked] db=d'],
    ] as const)
      expect(redacted(text, []), text).to.equal(left)
    for (const text of ['"tokens": {"a": 1}', 'secretFile: /etc/hostmesh/relay.secret', '"authorization": ["rules"]'])
      expect(redacted(text, [])).to.equal(text)
    expect(redacted('nothing secret at 10.0.0.1:8848, 200 in 3 ms', [])).to.equal(
      'nothing secret at 10.0.0.1:8848, 200 in 3 ms',
    )
  })

  it('has none of many secrets either, whatever they are made of', () => {
    const secrets = Array.from({ length: 3000 }, (_, index) => `s3cr[${index}]+(.*)\\d$`).toSorted(
      (a, b) => b.length - a.length,
    )
    expect(redacted(secrets.join(' and '), secrets).replaceAll('[masked]', '').replaceAll(' and ', '')).to.equal('')
  })

  it('looks for secrets in a bounded part of a piece, and leaves no half of one at that edge', () => {
    const text = `${'x'.repeat(24 * 1024 * 1024 - 4)}hunter22`
    const { file, rows } = bundleOf([piece('page.json', text)], ['hunter22'], 'folder', 0)
    expect(rows[0]!.problem).to.equal('cut, head kept')
    expect(gunzipSync(file).includes('hunt')).to.equal(false)
  })

  it('takes of a configuration folder what is a file, no more than its bound, under names that a tar holds', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'hm-rules-'))
    try {
      const rulesDir = join(directory, 'rules.d')
      mkdirSync(rulesDir)
      const names = ['a\nb.yaml', 'password=hunter22.yaml', `${'n'.repeat(200)}.yaml`]
      for (const name of names) writeFileSync(join(rulesDir, name), 'password: hunter22\n')
      expect(spawnSync('mkfifo', [join(rulesDir, 'x-pipe.yaml')]).status).to.equal(0)
      writeFileSync(join(rulesDir, 'y-long.yaml'), '#'.repeat(5 * 1024 * 1024))
      writeFileSync(join(rulesDir, 'z-broken.yaml'), 'a: [hunter22')
      const line = contents.find(({ name }) => name === 'configuration/')!
      const facts = { config: { servicesDir: '/nowhere', rulesDir }, file: '/nowhere' } as unknown as Facts
      const pieces = await line.collect(facts)
      const { file, rows } = bundleOf(pieces, [], 'folder', 0)
      expect(rows.map(({ name, problem }) => `${name}: ${problem}`)).to.deep.equal([
        'configuration/node.yaml: ENOENT',
        'configuration/rules.d/0.yaml: undefined',
        'configuration/rules.d/1.yaml: undefined',
        'configuration/rules.d/2.yaml: undefined',
        'configuration/rules.d/x-pipe.yaml: it is no file',
        'configuration/rules.d/y-long.yaml: it is longer than the 4194247 bytes that there is room for',
        'configuration/rules.d/z-broken.yaml: it is no YAML, so its secrets cannot be told',
      ])
      expect(gunzipSync(file).includes('hunter22')).to.equal(false)
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('masks before it cuts: no half of a secret is left at the edge', () => {
    const text = `hunter22${'x'.repeat(16 * 1024 * 1024 - 4)}`
    const { file } = bundleOf([piece('log.txt', text, 'tail')], ['hunter22'], 'folder', 0)
    expect(gunzipSync(file).includes('er22')).to.equal(false)
  })

  it('holds the files of a host with a long name: any tar reads them', () => {
    const folder = mkdtempSync(join(tmpdir(), 'hm-tar-'))
    try {
      const host = `hostmesh-support-${'h'.repeat(64)}-20261129T165133`
      const name = `configuration/services.d/${'s'.repeat(59)}.yaml`
      const { file } = bundleOf([piece(name, 'there')], [], host, 0)
      writeFileSync(join(folder, 'bundle.tar.gz'), file)
      const ran = spawnSync('tar', ['-xzf', 'bundle.tar.gz'], { cwd: folder, encoding: 'utf8' })
      expect(ran.stderr).to.equal('')
      expect(readFileSync(join(folder, host, name), 'utf8')).to.equal('there')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('refuses a name that a tar cannot hold', () => {
    expect(() => tarOf([{ name: 'x'.repeat(101), content: Buffer.alloc(0) }], 0)).to.throw(RangeError)
  })

  it('has reports alone from the folders of the agent: neither what a link leads to, nor a pipe', async () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'hm-state-'))
    try {
      const drills = join(stateDir, 'drills')
      mkdirSync(drills)
      writeFileSync(join(stateDir, 'shadow'), 'of root')
      symlinkSync(join(stateDir, 'shadow'), join(drills, 'a.json'))
      expect(spawnSync('mkfifo', [join(drills, 'b.json')]).status).to.equal(0)
      writeFileSync(join(drills, 'c.json'), '{}')
      const line = contents.find(({ name }) => name === 'drills/')!
      const pieces = await line.collect({ config: { stateDir } } as unknown as Facts)
      expect(pieces.map(({ name, text, problem }) => ({ name, text, problem }))).to.deep.equal([
        { name: 'drills/a.json', text: undefined, problem: 'ELOOP' },
        { name: 'drills/b.json', text: undefined, problem: 'it is no file' },
        { name: 'drills/c.json', text: '{}', problem: undefined },
      ])
    } finally {
      rmSync(stateDir, { recursive: true, force: true })
    }
  })
})
