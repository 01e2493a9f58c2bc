import { expect } from 'chai'
import { NacosFault } from '../../../../../registry-adapters/nacos/server/fault.ts'
import { ConfigStore } from '../../../../../registry-adapters/nacos/embedded/config-store.ts'
import { contentMd5 } from '../../../../../registry-adapters/nacos/server/config-key.ts'

const key = { namespace: 'public', group: 'g', dataId: 'd' }
const limits = { maxConfigs: 2, maxConfigBytes: 10, maxConfigTotalBytes: 15 }
const store = (): ConfigStore => new ConfigStore({ now: () => 5, limits })

describe('config store', () => {
  it('gives back what was published, with its md5', async () => {
    const configs = store()
    expect(await configs.publish(key, 'grüße', 'text', undefined)).to.equal(true)
    expect(await configs.read(key)).to.include({ content: 'grüße', md5: contentMd5('grüße'), modifiedAt: 5 })
    await configs.remove(key)
    expect(await configs.read(key)).to.equal(undefined)
  })

  it('writes with compare-and-set only over what was read', async () => {
    const configs = store()
    expect(await configs.publish(key, 'a', 'text', contentMd5('what was never there'))).to.equal(true)
    expect(await configs.publish(key, 'b', 'text', contentMd5('x'))).to.equal(false)
    expect(await configs.publish(key, 'b', 'text', contentMd5('a'))).to.equal(true)
    expect((await configs.read(key))?.content).to.equal('b')
  })

  it('tells watchers of changes, of the removal, and not of a rewrite with the same content', async () => {
    const configs = store()
    const heard: string[] = []
    const watch = configs.watch(key, '', (md5) => heard.push(md5))
    await configs.publish(key, 'a', 'text', undefined)
    await configs.publish(key, 'a', 'text', undefined)
    await configs.remove(key)
    await Promise.resolve()
    watch.unsubscribe()
    await configs.publish(key, 'b', 'text', undefined)
    await Promise.resolve()
    expect(heard).to.deep.equal([contentMd5('a'), ''])
  })

  it('tells a watcher at once when it knows something else', async () => {
    const configs = store()
    await configs.publish(key, 'a', 'text', undefined)
    const md5 = await new Promise((resolve) => configs.watch(key, 'old', resolve))
    expect(md5).to.equal(contentMd5('a'))
  })

  it('refuses what is above its bounds and keeps what is there', async () => {
    const configs = store()
    const refused = async (dataId: string, content: string): Promise<string> => {
      try {
        await configs.publish({ ...key, dataId }, content, 'text', undefined)
      } catch (error) {
        if (error instanceof NacosFault) return error.kind
      }
      return 'taken'
    }
    expect(await refused('a', 'x'.repeat(11))).to.equal('too-large')
    expect(await refused('a', 'x'.repeat(10))).to.equal('taken')
    expect(await refused('b', 'x'.repeat(6))).to.equal('over-limit')
    expect(await refused('b', 'x'.repeat(5))).to.equal('taken')
    expect(await refused('c', '')).to.equal('over-limit')
    await configs.remove({ ...key, dataId: 'a' })
    expect(await refused('c', 'x'.repeat(10))).to.equal('taken')
  })
})
