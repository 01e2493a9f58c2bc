/** Requests and failures per second over the time that this tab has looked. */
import { html, useEffect, useRef, type View } from './html.ts'
import type { Moment } from './traffic.ts'
import uPlot from './vendor/uplot.js'
import { t } from './words.ts'

const height = 190
/** What the chart shows at first, however short the tab has looked. */
const leastSeconds = 60

export function Chart({ moments }: { readonly moments: readonly Moment[] }): View {
  const place = useRef<HTMLDivElement>(null)
  const chart = useRef<uPlot | undefined>(undefined)
  useEffect(() => {
    const make = (): void => {
      const box = place.current
      if (box === null) return
      chart.current?.destroy()
      chart.current = new uPlot(optionsFor(box), columns(moments), box)
    }
    make()
    const watcher = new ResizeObserver(() => {
      const box = place.current
      if (box !== null) chart.current?.setSize({ width: box.clientWidth, height })
    })
    if (place.current !== null) watcher.observe(place.current)
    addEventListener('themechange', make)
    return () => {
      watcher.disconnect()
      removeEventListener('themechange', make)
      chart.current?.destroy()
      chart.current = undefined
    }
  }, [])
  useEffect(() => chart.current?.setData(columns(moments)), [moments, moments.length])
  const last = moments.at(-1)
  const label = `${t('requestRate')}: ${last?.rate.toFixed(1) ?? '–'}; ${t('failureRate')}: ${last?.failureRate.toFixed(1) ?? '–'}`
  return html`<div class="chart" role="img" aria-label=${label} ref=${place}></div>`
}

function columns(moments: readonly Moment[]): uPlot.AlignedData {
  return [
    moments.map(({ at }) => at / 1000),
    moments.map(({ rate }) => rate),
    moments.map(({ failureRate }) => failureRate),
  ]
}

function optionsFor(box: HTMLElement): uPlot.Options {
  const style = getComputedStyle(document.documentElement)
  const colour = (name: string): string => style.getPropertyValue(name).trim()
  const axis = { stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } }
  return {
    width: box.clientWidth,
    height,
    cursor: { y: false },
    legend: { show: true },
    scales: {
      x: { range: ({ data: [times] }) => timesShown(times) },
      y: { range: (_chart, _low, high) => [0, Math.max(1, high * 1.15)] },
    },
    axes: [axis, { ...axis, size: 52 }],
    series: [
      { label: t('when') },
      {
        label: t('requestRate'),
        stroke: colour('--accent'),
        fill: colour('--accent-faint'),
        width: 2,
        value: (_chart, value) => (value === null ? '–' : value.toFixed(1)),
      },
      {
        label: t('failureRate'),
        stroke: colour('--bad'),
        width: 2,
        value: (_chart, value) => (value === null ? '–' : value.toFixed(1)),
      },
    ],
  }
}

/** The browser's idea of a single moment would be years. */
function timesShown(times: ArrayLike<number>): [number, number] {
  const last = times[times.length - 1] ?? Date.now() / 1000
  return [Math.min(times[0] ?? last, last - leastSeconds), last]
}
