"""Looks at a lab's dashboard with a real browser; runs within `labctl enter TEAM`, with selenium and chromium.

    labctl enter team01 -- PYTHON tests/cloud/dashboard.py URL USER PASSWORD FOLDER

Logs in, opens overview and instances, and saves a picture of each page into the folder.
"""

# ruff: noqa: T201 - what it prints is its result
from __future__ import annotations

import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.expected_conditions import presence_of_element_located
from selenium.webdriver.support.ui import WebDriverWait

SECONDS = 600


def main(url: str, user: str, password: str, folder: Path) -> None:
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path="/usr/bin/chromedriver")
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_page_load_timeout(SECONDS)
    wait = WebDriverWait(browser, SECONDS)
    try:
        picture(browser, folder, f"{url}auth/login/", "login")
        browser.find_element(By.ID, "id_username").send_keys(user)
        browser.find_element(By.ID, "id_password").send_keys(password)
        browser.find_element(By.ID, "loginBtn").click()
        wait.until(presence_of_element_located((By.ID, "navbar-collapse")))
        print("logged in:", browser.title, flush=True)
        browser.save_screenshot(str(folder / "after-login.png"))
        picture(browser, folder, f"{url}project/instances/", "instances")
        assert browser.find_elements(By.ID, "instances"), browser.page_source[:2000]
        print("instances:", browser.find_element(By.ID, "instances").text, flush=True)
    finally:
        browser.quit()


def picture(browser: webdriver.Chrome, folder: Path, url: str, name: str) -> None:
    began = time.monotonic()
    browser.get(url)
    browser.save_screenshot(str(folder / f"{name}.png"))
    print(f"{time.monotonic() - began:8.1f} s  {name}: {browser.title}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
